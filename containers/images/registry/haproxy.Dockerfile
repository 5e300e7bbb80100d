ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update \
 && apt-get install -y --no-install-recommends iptables iproute2 procps util-linux iputils-ping ca-certificates netbase \
    haproxy \
 && rm -rf /var/lib/apt/lists/*
ENV LANG=C.UTF-8
CMD ["sleep", "infinity"]
