// What a self-hosted platform has in place of KV and R2: a table of routes, and bundles in an S3-compatible store.
export { Bundles } from "./bundles.ts";
export { Routes, RouteTable } from "./routes.ts";

/** Reached by name alone, through the two entrypoints. */
export default { fetch: () => new Response("not found\n", { status: 404 }) };
