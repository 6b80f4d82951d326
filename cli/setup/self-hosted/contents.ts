// Everything that belongs into a self-hosted platform's folder, as it should be; made beside it, so that a plan touches nothing.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleCompanion } from "../../../self-hosted/build/bundle-companion.ts";
import { workerdBinary } from "../../../self-hosted/build/workerd-binary.ts";
import { bundleWorkers } from "../../../self-hosted/build/write-workers.ts";
import { FILES, portsOf, type Settings } from "../../../self-hosted/install/layout.ts";
import { caddyfile } from "../../../self-hosted/install/proxy.ts";
import { companionUnit, platformSocket, platformUnit } from "../../../self-hosted/install/units.ts";
import { companionText, secretsText, sharesOf, SMTP_URL, type Secrets } from "./secrets.ts";

export interface WantedFile {
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
  readonly restarts: readonly Unit[];
}

export type Unit = "berth-platform" | "berth-platform.socket" | "berth-companion";

const [PRIVATE, OPEN, PROGRAM] = [0o600, 0o644, 0o755];
const PLATFORM: readonly Unit[] = ["berth-platform"];
const COMPANION: readonly Unit[] = ["berth-companion"];

export async function wantedFiles(folder: string, settings: Settings, secrets: Secrets): Promise<WantedFile[]> {
  const workspace = mkdtempSync(join(tmpdir(), "berth-setup-"));
  try {
    const [configuration] = await Promise.all([
      bundleWorkers(workspace, configurationOf(settings, secrets)),
      bundleCompanion(join(workspace, FILES.companion)),
    ]);
    const text = (path: string, content: string, restarts: readonly Unit[], mode = OPEN): WantedFile => ({
      path,
      content: Buffer.from(content),
      mode,
      restarts,
    });
    const made = (path: string, restarts: readonly Unit[]): WantedFile => ({
      path,
      content: readFileSync(join(workspace, path)),
      mode: OPEN,
      restarts,
    });
    const places = { folder, nodeBinary: process.execPath };
    return [
      // First: whatever stops the set-up after it, no key that something was told is lost.
      text(FILES.secrets, secretsText(secrets), PLATFORM, PRIVATE),
      text(FILES.companionSecrets, companionText(secrets), COMPANION, PRIVATE),
      text(FILES.settings, `${JSON.stringify(settings, null, 2)}\n`, []),
      { path: FILES.workerd, content: readFileSync(workerdBinary()), mode: PROGRAM, restarts: PLATFORM },
      ...FILES.workers.map((path) => made(path, PLATFORM)),
      made(FILES.companion, COMPANION),
      text(FILES.configuration, configuration, PLATFORM),
      text(FILES.platformSocket, platformSocket(settings), ["berth-platform.socket", "berth-platform"]),
      text(FILES.platformUnit, platformUnit(places), PLATFORM),
      text(FILES.companionUnit, companionUnit(places, settings), COMPANION),
      text(FILES.proxy, caddyfile(settings), []),
    ];
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}

function configurationOf(settings: Settings, secrets: Secrets): Parameters<typeof bundleWorkers>[1] {
  const { domain, apiHost, region, s3, vars } = settings;
  const { control, edge, clock, adapter } = portsOf(settings);
  const here = (port: number): string => `127.0.0.1:${port}`;
  return {
    sockets: { control: here(control), edge: here(edge), clock: here(clock) },
    vars: {
      control: {
        BASE_DOMAIN: domain,
        EDGE_ORIGIN: `https://${domain}`,
        DEFAULT_REGION: region,
        RESERVED_DOMAINS: apiHost,
        NEON_ADAPTER: here(adapter),
        CONTROL_ORIGIN: `https://${apiHost}`,
        ...(secrets[SMTP_URL] === undefined
          ? {}
          : { MAIL_URL: `http://${here(adapter)}/mail`, MAIL_FROM: `Berth <berth@${apiHost}>` }),
        ...vars.control,
      },
      edge: { BASE_DOMAIN: domain, ...vars.edge },
      stores: { S3_ENDPOINT: s3.endpoint, S3_BUCKET: s3.bucket, S3_REGION: s3.region },
    },
    secrets: sharesOf(secrets),
  };
}
