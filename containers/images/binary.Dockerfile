# The last and thinnest layer: a changed pgdrill changes nothing below it.
ARG BASE
FROM ${BASE}
COPY pgdrill /usr/local/bin/pgdrill
