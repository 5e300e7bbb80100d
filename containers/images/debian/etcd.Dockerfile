# etcd lies in the base as Debian's package.
ARG BASE
FROM ${BASE}
RUN mkdir -p /var/lib/etcd
ENV LANG=C.UTF-8
CMD ["sleep", "infinity"]
