// The settings of a self-hosted platform: what the options say, else what its folder says already, else a default.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { FILES, Settings } from "../../../self-hosted/install/layout.ts";
import { CommandFailure, EXIT } from "../../failure.ts";
import { postgresUrl } from "../database.ts";

export interface SettingsOptions {
  readonly domain: string;
  readonly apiHost: string | undefined;
  readonly region: string | undefined;
  readonly port: number | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3Bucket: string | undefined;
  readonly s3Region: string | undefined;
}

const DEFAULTS = { region: "main", port: 8787, s3Bucket: "berth-bundles", s3Region: "us-east-1" } as const;
const POSTGRES_PORT = 5432;
/** Cloudflare's and a browser's wildcard stands for one label: the API's name may not be one of the apps'. */
const PORT_LAST = 65_532;

export function readSettings(folder: string): Settings | null {
  const path = join(folder, FILES.settings);
  if (!existsSync(path)) return null;
  const failure = (why: string) =>
    new CommandFailure(`${path} cannot be used: ${why}`, EXIT.usage, "Mend it by hand; keep secrets.env beside it.");
  let stored: unknown;
  try {
    stored = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw failure((error as Error).message);
  }
  const parsed = Settings.safeParse(stored);
  if (!parsed.success) throw failure(z.prettifyError(parsed.error));
  return parsed.data;
}

export function settingsOf(options: SettingsOptions, adminUrl: string, kept: Settings | null): Settings {
  const { domain } = options;
  if (kept !== null && kept.domain !== domain)
    throw new CommandFailure(
      `This folder is the platform of ${kept.domain}`,
      EXIT.usage,
      "Give it, or another folder.",
    );
  const endpoint = options.s3Endpoint ?? kept?.s3.endpoint;
  if (endpoint === undefined)
    throw new CommandFailure("Give --s3-endpoint: where bundles are kept", EXIT.usage, "Such as http://127.0.0.1:9000");
  const port = options.port ?? kept?.port ?? DEFAULTS.port;
  if (port < 1 || port > PORT_LAST)
    throw new CommandFailure(`--port must be from 1 to ${PORT_LAST}: it and the next three are used`, EXIT.usage);
  return {
    domain,
    apiHost: apiHostOf(domain, options.apiHost ?? kept?.apiHost),
    region: options.region ?? kept?.region ?? DEFAULTS.region,
    port,
    postgres: postgresOf(adminUrl, process.env.NODE_EXTRA_CA_CERTS || kept?.postgres.authority),
    s3: {
      endpoint: endpointOf(endpoint),
      bucket: options.s3Bucket ?? kept?.s3.bucket ?? DEFAULTS.s3Bucket,
      region: options.s3Region ?? kept?.s3.region ?? DEFAULTS.s3Region,
    },
    vars: kept?.vars ?? { control: {}, edge: {} },
  };
}

function apiHostOf(domain: string, given: string | undefined): string {
  const parent = domain.slice(domain.indexOf(".") + 1);
  if (given === undefined && !parent.includes("."))
    throw new CommandFailure(`Give --api-host: ${domain} has no name above it for the API`, EXIT.usage);
  const host = given ?? `berth.${parent}`;
  if (host === domain || host.endsWith(`.${domain}`))
    throw new CommandFailure(
      `${host} is below ${domain}, where the apps' hostnames are`,
      EXIT.usage,
      "Give another --api-host.",
    );
  return host;
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "")
    throw new CommandFailure(`--s3-endpoint ${text} is not an address`, EXIT.usage, "Such as http://127.0.0.1:9000");
  return url.href.replace(/\/$/, "");
}

/** The companion connects to the same server as the set-up does, and as privately. */
function postgresOf(adminUrl: string, authority: string | undefined): Settings["postgres"] {
  const { hostname, port, searchParams } = postgresUrl(adminUrl);
  const mode = searchParams.get("sslmode") ?? "disable";
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? POSTGRES_PORT : Number(port),
    tls: mode !== "disable",
    ...(authority === undefined ? {} : { authority: resolve(authority) }),
  };
}
