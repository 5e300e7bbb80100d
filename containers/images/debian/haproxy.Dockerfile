# HAProxy lies in the base as Debian's package.
ARG BASE
FROM ${BASE}
ENV LANG=C.UTF-8
CMD ["sleep", "infinity"]
