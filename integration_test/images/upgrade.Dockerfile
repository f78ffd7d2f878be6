# The programs of PostgreSQL 13 and 17 on one machine, as pg_upgrade needs them: those of 13, with the libraries that
# Debian's newer release does not have, are added to the image of 17.
FROM webhooks-test-postgres:13 AS old

FROM webhooks-test-postgres:17
COPY --from=old /usr/lib/postgresql/13 /usr/lib/postgresql/13
COPY --from=old /usr/share/postgresql/13 /usr/share/postgresql/13
COPY --from=old /usr/lib/ /old/
RUN while missing=$(ldd /usr/lib/postgresql/13/bin/* /usr/lib/postgresql/13/lib/*.so 2>/dev/null | awk '/not found/ { print $1 }' | sort -u) && \
      [ -n "$missing" ]; do \
      for library in $missing; do cp /old/*-linux-gnu/"$library" /usr/local/lib/ || exit 1; done; ldconfig; \
    done; rm -r /old
