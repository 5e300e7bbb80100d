# Upstream's image starts a server by itself; in a lab an idle process is the first and the agent starts the server. The other
# majors come from the archive that the image itself was made from.
ARG POSTGRESQL
ARG ETCD
FROM ${ETCD} AS etcd
FROM ${POSTGRESQL}
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables iproute2 procps util-linux iputils-ping ca-certificates netbase \
    python3 postgresql-15 postgresql-17 postgresql-18 \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /var/lib/postgresql/data /etc/pgdrill && chown postgres:postgres /var/lib/postgresql/data /etc/pgdrill
# For clusters with etcd on the nodes.
COPY --from=etcd /usr/local/bin/etcd /usr/local/bin/
ENV LANG=C.UTF-8
ENTRYPOINT []
CMD ["sleep", "infinity"]
