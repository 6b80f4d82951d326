// What `env` of "cloudflare:workers" holds in these tests.
declare namespace Cloudflare {
  interface Env extends Readonly<Omit<import("../../durable-objects/env.ts").ObjectEnv, "ROUTES">> {
    /** The whole of KV, so that a test can look at what was written. */
    readonly ROUTES: KVNamespace;
  }
}
