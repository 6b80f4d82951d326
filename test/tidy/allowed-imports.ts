// The import arrows of docs/ARCHITECTURE.md as data: what each folder may import, folder by folder.

export interface Allowed {
  /** Folders of this project, besides the folder itself. */
  readonly folders: readonly string[];
  /** npm packages, or a scope of them ("@scope/"). */
  readonly packages: readonly string[];
  readonly nodeBuiltins: boolean;
  readonly cloudflare: boolean;
}

/** Folders of which nothing ships may import anything that package.json declares. */
export const unrestrictedFolders = ["dev", "bench", "test", "examples"];

export const allowedImports: Readonly<Record<string, Allowed>> = {
  contracts: { folders: [], packages: ["zod"], nodeBuiltins: false, cloudflare: false },
  core: { folders: ["contracts"], packages: ["ipaddr.js"], nodeBuiltins: false, cloudflare: false },
  db: {
    folders: ["contracts"],
    packages: ["drizzle-orm", "drizzle-kit", "@neondatabase/serverless", "pg", "typeid-js"],
    nodeBuiltins: false,
    cloudflare: false,
  },
  "durable-objects": {
    folders: ["contracts", "core"],
    packages: ["itty-durable", "jose", "zod"],
    nodeBuiltins: false,
    cloudflare: true,
  },
  workers: {
    folders: ["contracts", "core", "db", "durable-objects"],
    packages: [
      "zod",
      "hono",
      "@hono/zod-openapi",
      "@scalar/hono-api-reference",
      "@swimlane/docker-reference",
      "age-encryption",
      "better-auth",
      "dns-packet",
      "jose",
      "p-retry",
      "resend",
      "typeid-js",
    ],
    nodeBuiltins: true,
    cloudflare: true,
  },
  "node-agent": {
    folders: ["contracts", "core"],
    packages: [
      "zod",
      "@swimlane/docker-reference",
      "acme-client",
      "dockerode",
      "esbuild",
      "httpxy",
      "jose",
      "p-retry",
      "pino",
      "tar-stream",
      "undici",
      "ws",
    ],
    nodeBuiltins: true,
    cloudflare: false,
  },
  "self-hosted": {
    // Its own Workers around the others', and what builds and surrounds them on a machine of one's own.
    folders: ["contracts", "durable-objects", "workers"],
    packages: ["zod", "aws4fetch", "esbuild", "fast-xml-parser", "nodemailer", "pg", "smol-toml", "workerd", "ws"],
    nodeBuiltins: true,
    cloudflare: true,
  },
  cli: {
    // `berth setup` migrates and backups copy, with db's own functions, and a self-hosted platform is built; no other command needs either.
    folders: ["contracts", "db", "self-hosted"],
    packages: [
      "zod",
      "@clack/prompts",
      "age-encryption",
      "aws4fetch",
      "fast-xml-parser",
      "@commander-js/extra-typings",
      "cli-table3",
      "commander",
      "dockerode",
      "env-paths",
      "eventsource-parser",
      "jose",
      "p-retry",
      "picocolors",
      "smol-toml",
      "tar-stream",
      "yaml",
    ],
    nodeBuiltins: true,
    cloudflare: false,
  },
  dashboard: { folders: ["contracts"], packages: [], nodeBuiltins: false, cloudflare: false },
};

/** The one file that may import the objects' classes: it exports them to the runtime. All others see their types. */
export const objectClassesEntry = "workers/control/index.ts";

/** The edge Worker stays small and lives without Postgres: no database and no library for accounts in its bundle. */
export const edgeFolder = "workers/edge/";
export const barredFromEdge = ["db/", "better-auth", "@hono/zod-openapi", "@scalar/hono-api-reference"];
