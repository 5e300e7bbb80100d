//! The real worlds: etcd, PostgreSQL 16 and HAProxy in containers, with pgdrill's agent or with the real Patroni.
