# Upstream's etcd image has no shell: its programs go into a Debian with the tools of fault injection.
ARG DEBIAN
ARG ETCD
FROM ${ETCD} AS etcd
FROM ${DEBIAN}
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables iproute2 procps util-linux iputils-ping ca-certificates netbase \
 && rm -rf /var/lib/apt/lists/* && mkdir -p /var/lib/etcd
COPY --from=etcd /usr/local/bin/etcd /usr/local/bin/etcdctl /usr/local/bin/etcdutl /usr/local/bin/
ENV LANG=C.UTF-8
CMD ["sleep", "infinity"]
