# Your image with importtrace in it, switched off; IMPORTTRACE=1 in the environment switches it on.
#   docker build --file deploy/image/layer.Dockerfile --build-arg SERVICE=your-service:1.0 \
#     --tag your-service:1.0-traced deploy/image
ARG SERVICE
ARG IMPORTTRACE=importtrace:0.1.0
FROM ${IMPORTTRACE} AS importtrace
FROM ${SERVICE}
COPY --from=importtrace /opt/importtrace /opt/importtrace
# Where your image sets PYTHONPATH, put its own folders behind this one, with a colon.
ENV PYTHONPATH=/opt/importtrace/importtrace/inject/site IMPORTTRACE=0
