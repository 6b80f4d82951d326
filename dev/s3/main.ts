// The local S3-compatible store, as a process of its own: `node main.ts <port> <folder> <bucket>`.
import S3rver from "s3rver";

const [port, directory, bucket] = process.argv.slice(2);
if (port === undefined || directory === undefined || bucket === undefined)
  throw new Error("usage: main.ts <port> <folder> <bucket>");
const store = new S3rver({
  address: "127.0.0.1",
  port: Number(port),
  directory,
  silent: true,
  configureBuckets: [{ name: bucket, configs: [] }],
});
await store.run();
process.send?.({ kind: "ready" });
process.once("disconnect", () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
