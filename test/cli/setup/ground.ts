// What a set-up is tested on: the stand-in for Cloudflare with a paid account and a zone, a real Postgres whose owner is no superuser, and the real command.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import pg from "pg";
import { createApi } from "../../../cli/client.ts";
import type { Context } from "../../../cli/context.ts";
import { placeOf, type KekPlace } from "../../../cli/keys/places.ts";
import { runSetup, type SetupOptions } from "../../../cli/setup/run.ts";
import {
  addAccount,
  addZone,
  type Account,
  type Permission,
  type Token,
  type Zone,
} from "../../../dev/cloudflare/account.ts";
import { startCloudflare, type Standin } from "../../../dev/cloudflare/server.ts";
import { scratchPostgres } from "../../dev/scratch-postgres.ts";
import { runBerth, type Ran } from "../run-berth.ts";

export const DOMAIN = "apps.example.com";

export interface Ground {
  readonly cloudflare: Standin;
  readonly account: Account;
  readonly zone: Zone;
  readonly token: Token;
  /** Of the database's owner: as with Neon, it may create roles and is no superuser. */
  readonly adminUrl: string;
  /** The user's folders: what is kept there is of one machine. */
  cwd: string;
  berth(args: readonly string[], env?: Record<string, string>): Promise<Ran>;
  setup(...args: readonly string[]): Promise<Ran>;
  /** The same in this process, without a terminal; what went wrong is thrown. Gives the steps that were made. */
  setupHere(options?: Partial<SetupOptions>, env?: Record<string, string>): Promise<string[]>;
  /** Where `berth keys` gives this platform its key-encryption keys. */
  kekPlace(): Promise<KekPlace>;
  /** From now on as on another machine of the same operator. */
  otherMachine(): void;
  end(): Promise<void>;
}

const ALL: Permission[] = [
  "Workers Scripts",
  "Workers KV Storage",
  "Workers R2 Storage",
  "DNS",
  "Workers Routes",
  "SSL and Certificates",
];
const SECRET_TOKEN = "cf-token-that-nobody-may-see";
const OWNER_PASSWORD = "pg-password-that-nobody-may-see";

/** No value of a secret is ever printed: checked for each run. */
const UNSPEAKABLE = [SECRET_TOKEN, OWNER_PASSWORD];

function everyPermission(): Token["permissions"] {
  const edits = Object.fromEntries(ALL.map((name) => [name, "Edit" as const]));
  return { ...edits, Billing: "Read", Zone: "Read" };
}

export async function startGround(): Promise<Ground> {
  const [cloudflare, postgres] = await Promise.all([startCloudflare(), scratchPostgres()]);
  const account = addAccount(cloudflare.cloud, "Acme");
  const zone = addZone(cloudflare.cloud, account, "example.com");
  const token: Token = {
    id: "token-1",
    accounts: [account.id],
    zones: [zone.id],
    permissions: everyPermission(),
    status: "active",
  };
  cloudflare.cloud.tokens.set(SECRET_TOKEN, token);
  const adminUrl = await makeDatabase(postgres.url);
  const folders: string[] = [];
  const newFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), "berth-setup-test-"));
    folders.push(folder);
    return folder;
  };
  const ground: Ground = {
    cloudflare,
    account,
    zone,
    token,
    adminUrl,
    cwd: newFolder(),
    async berth(args, env = {}) {
      const ran = await runBerth(args, {
        cwd: ground.cwd,
        env: { ...environmentOf(cloudflare.url, adminUrl), ...env },
      });
      const spoken = UNSPEAKABLE.find((secret) => (ran.stdout + ran.stderr).includes(secret));
      if (spoken !== undefined) throw new Error(`berth ${args.join(" ")} printed a secret`);
      return ran;
    },
    setup: (...args) => ground.berth(["setup", "--domain", DOMAIN, ...args]),
    async setupHere(options = {}, env = {}) {
      Object.assign(process.env, environmentOf(cloudflare.url, adminUrl), { XDG_CONFIG_HOME: ground.cwd }, env);
      const made: string[] = [];
      const context = contextFor(ground.cwd, (line) => line.startsWith("✓") && made.push(line.slice(2)));
      await runSetup(context, { ...OPTIONS, ...options });
      return made;
    },
    async kekPlace() {
      Object.assign(process.env, environmentOf(cloudflare.url, adminUrl));
      const place = await placeOf(
        contextFor(ground.cwd, () => {}),
        { domain: DOMAIN, name: "berth" },
      );
      return place!;
    },
    otherMachine: () => void (ground.cwd = newFolder()),
    async end() {
      await cloudflare.close();
      await postgres.remove();
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    },
  };
  return ground;
}

const environmentOf = (url: string, adminUrl: string): Record<string, string> => ({
  CLOUDFLARE_API_TOKEN: SECRET_TOKEN,
  CLOUDFLARE_API_BASE_URL: url,
  BERTH_ADMIN_URL: adminUrl,
});

const OPTIONS: SetupOptions = {
  domain: DOMAIN,
  name: "berth",
  apiHost: undefined,
  region: undefined,
  account: undefined,
  nodes: 3,
  requests: 1_000_000,
  plan: false,
  yes: true,
  email: undefined,
  passwordStdin: false,
  apiUrl: undefined,
};

function contextFor(cwd: string, note: (line: string) => void): Context {
  const nothing = () => {};
  const out = {
    json: false,
    tty: false,
    line: nothing,
    note: (text: string) => note(stripVTControlCharacters(text)),
    result: nothing,
    table: nothing,
  };
  const api = createApi({ apiUrl: "http://127.0.0.1:9" });
  return { api, out, config: null, configPath: join(cwd, "config.json"), cwd, interactive: false };
}

async function makeDatabase(superUrl: string): Promise<string> {
  const admin = new pg.Client({ connectionString: superUrl });
  await admin.connect();
  await admin.query(`create role neondb_owner login createrole createdb password '${OWNER_PASSWORD}'`);
  await admin.query("create database berth owner neondb_owner");
  await admin.end();
  const url = new URL(superUrl);
  [url.username, url.password, url.pathname] = ["neondb_owner", OWNER_PASSWORD, "/berth"];
  return url.href;
}
