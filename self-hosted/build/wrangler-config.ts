// Reads a Worker's wrangler.toml, the one file that Cloudflare, self-hosted platforms and the local stack share.
// What it does not know it refuses, so that a binding cannot be added for production and silently be missing elsewhere.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";
import { z } from "zod";

const WranglerConfig = z.strictObject({
  name: z.string(),
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).default([]),
  workers_dev: z.boolean().optional(),
  keep_names: z.boolean().default(true),
  // Where and how Cloudflare runs it: nothing of these exists locally.
  routes: z.unknown().optional(),
  observability: z.unknown().optional(),
  placement: z.unknown().optional(),
  limits: z.unknown().optional(),
  durable_objects: z
    .strictObject({
      bindings: z.array(
        z.strictObject({ name: z.string(), class_name: z.string(), script_name: z.string().optional() }),
      ),
    })
    .default({ bindings: [] }),
  migrations: z.array(z.strictObject({ tag: z.string(), new_sqlite_classes: z.array(z.string()) })).default([]),
  kv_namespaces: z.array(z.strictObject({ binding: z.string(), id: z.string() })).default([]),
  r2_buckets: z.array(z.strictObject({ binding: z.string(), bucket_name: z.string() })).default([]),
  services: z
    .array(z.strictObject({ binding: z.string(), service: z.string(), entrypoint: z.string().optional() }))
    .default([]),
  triggers: z.strictObject({ crons: z.array(z.literal("* * * * *")) }).default({ crons: [] }),
  rules: z
    .array(
      z.strictObject({
        type: z.enum(["Text", "Data"]),
        globs: z.array(z.string()),
        fallthrough: z.boolean().optional(),
      }),
    )
    .default([]),
  vars: z.record(z.string(), z.string()).default({}),
});

/** A Worker as Miniflare is told of it, less its code and secrets. */
export interface LocalWorker {
  readonly name: string;
  readonly mainPath: string;
  readonly everyMinute: boolean;
  readonly keepNames: boolean;
  readonly vars: Readonly<Record<string, string>>;
  /** The objects that it has itself. */
  readonly objectClasses: readonly string[];
  readonly options: {
    readonly compatibilityDate: string;
    readonly compatibilityFlags: string[];
    readonly durableObjects: Record<string, { className: string; scriptName?: string; useSQLite?: boolean }>;
    readonly kvNamespaces: Record<string, string>;
    readonly r2Buckets: Record<string, string>;
    readonly serviceBindings: Record<string, { name: string; entrypoint?: string }>;
  };
}

export function readWranglerConfig(tomlPath: string): LocalWorker {
  const parsed = WranglerConfig.safeParse(parse(readFileSync(tomlPath, "utf8")));
  if (!parsed.success)
    throw new Error(`${tomlPath}: only Cloudflare could run this:\n${z.prettifyError(parsed.error)}`);
  const config = parsed.data;
  const sqliteClasses = new Set(config.migrations.flatMap((migration) => migration.new_sqlite_classes));
  const durableObjects = config.durable_objects.bindings.map(
    ({ name, class_name: className, script_name: scriptName }) => {
      if (scriptName !== undefined) return [name, { className, scriptName }] as const;
      if (!sqliteClasses.has(className)) throw new Error(`${tomlPath}: no migration makes ${className} a SQLite class`);
      return [name, { className, useSQLite: true }] as const;
    },
  );
  return {
    name: config.name,
    mainPath: resolve(dirname(tomlPath), config.main),
    everyMinute: config.triggers.crons.length > 0,
    keepNames: config.keep_names,
    vars: config.vars,
    objectClasses: [...sqliteClasses],
    options: {
      compatibilityDate: config.compatibility_date,
      compatibilityFlags: config.compatibility_flags,
      durableObjects: Object.fromEntries(durableObjects),
      kvNamespaces: Object.fromEntries(config.kv_namespaces.map(({ binding, id }) => [binding, id])),
      r2Buckets: Object.fromEntries(config.r2_buckets.map(({ binding, bucket_name: bucket }) => [binding, bucket])),
      serviceBindings: Object.fromEntries(
        config.services.map(({ binding, service, entrypoint }) => [binding, { name: service, entrypoint }]),
      ),
    },
  };
}
