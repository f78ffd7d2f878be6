# The image, built from source; deploy/docker/Dockerfile.release makes the same of a release's binary.
#
#   docker build --build-arg VERSION=1.2.3 --tag recordengine/webhooks:1.2.3 .
#
# There are no cache mounts, which only BuildKit knows: a layer keeps the modules until go.mod changes.
# Where the Go of a release changes, GO_IMAGE does (a test compares them).
ARG GO_IMAGE=golang:1.26.10-alpine3.22

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X github.com/recordengine/webhooks/cli.version=${VERSION}" -o /webhooks .

# Only the program, the certificate authorities and a name for its user. It writes no file; its times are in UTC.
FROM scratch
ARG VERSION=
LABEL org.opencontainers.image.title="RecordEngine webhooks" \
      org.opencontainers.image.source="https://github.com/recordengine/webhooks" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY deploy/docker/passwd /etc/passwd
COPY LICENSE docs/licences.md /usr/share/doc/webhooks/
COPY --from=build /webhooks /usr/local/bin/webhooks
USER 65532:65532
# Where the health check asks. Publish the port of the page, 8098, at most; 9464 has no login.
ENV PATH=/usr/local/bin WEBHOOK_METRICS_LISTEN=:9464
EXPOSE 8098 9464
# It finishes what it has begun, within 35 seconds: docker stop --time 40
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["/usr/local/bin/webhooks", "health"]
ENTRYPOINT ["/usr/local/bin/webhooks"]
CMD ["run"]
