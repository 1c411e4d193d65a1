-- The address of a sink is fixed, so each endpoint has one of its own. `single`: a request for each event.
CREATE TABLE endpoint_${ENDPOINT} (body BYTES) WITH (
  'connector' = 'http-sink',
  'url' = 'http://${HOST}:${PORT}/hook',
  'format' = 'raw',
  'gid.connector.http.sink.header.Content-Type' = 'application/json',
  'gid.connector.http.sink.writer.request.mode' = 'single',
  'gid.connector.http.sink.writer.thread-pool.size' = '2',
  'gid.connector.http.sink.request.timeout' = '5',
  -- Requests under way for each of the two subtasks: batches at once times the requests of one.
  'sink.batch.max-size' = '8',
  'sink.requests.max-inflight' = '4',
  'sink.requests.max-buffered' = '4096',
  'sink.flush-buffer.timeout' = '5'
);
