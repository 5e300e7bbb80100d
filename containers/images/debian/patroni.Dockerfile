# Patroni beside PostgreSQL: its packages were downloaded on the host.
ARG BASE
FROM ${BASE}
COPY site-packages /opt/patroni
COPY patroni patronictl /usr/local/bin/
