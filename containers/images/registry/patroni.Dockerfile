ARG BASE
ARG PYTHON
FROM ${PYTHON} AS packages
COPY patroni-requirements.txt /
RUN pip install --no-cache-dir --no-compile --no-deps --target /opt/patroni -r /patroni-requirements.txt
FROM ${BASE}
COPY --from=packages /opt/patroni /opt/patroni
COPY patroni patronictl /usr/local/bin/
