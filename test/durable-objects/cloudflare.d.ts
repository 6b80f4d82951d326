// What `env` of "cloudflare:workers" holds in these tests.
declare namespace Cloudflare {
  interface Env extends Readonly<import("../../durable-objects/env.ts").ObjectEnv> {}
}
