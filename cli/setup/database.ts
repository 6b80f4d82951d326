// What is looked at in Postgres before anything is made: that it answers, that it is able, and that it is not of a newer Berth.
import { readMigrationState } from "../../db/migration-state.ts";
import { CommandFailure, EXIT } from "../failure.ts";

const POSTGRES_18 = 180_000;
/** Neon's pooled host names: migrations need session state, which a pooler does not keep. */
const POOLED = /-pooler\./;
const NEON = /\.neon\.(tech|build)$/;

/** How many migrations are to be made. */
export async function checkDatabase(adminUrl: string): Promise<number> {
  const { hostname } = postgresUrl(adminUrl);
  if (POOLED.test(hostname))
    throw new CommandFailure(
      `${hostname} is Neon's pooled address`,
      EXIT.usage,
      `Give the direct one, without -pooler: ${hostname.replace(POOLED, ".")}`,
    );
  const state = await migrationStateOf(adminUrl);
  if (state.serverVersion < POSTGRES_18)
    throw new CommandFailure(
      `Postgres at ${hostname} is version ${Math.floor(state.serverVersion / 10_000)}; Berth needs 18 or newer`,
      EXIT.failed,
      "Make the project with Postgres 18.",
    );
  if (!state.mayCreateRoles)
    throw new CommandFailure(
      "The role of BERTH_ADMIN_URL may not create roles",
      EXIT.failed,
      "Use the owner of the project's database (in Neon: neondb_owner).",
    );
  if (state.unknown > 0)
    throw new CommandFailure(
      `The database has ${state.unknown} migrations that this berth does not know: a newer version set it up`,
      EXIT.failed,
      "Use that version, or a newer one.",
    );
  return state.pending;
}

/** What was migrated. A Postgres that cannot be used is named, without what its URL holds. */
export async function migrationStateOf(adminUrl: string): ReturnType<typeof readMigrationState> {
  const { hostname } = postgresUrl(adminUrl);
  return readMigrationState(adminUrl).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message || error.name : String(error);
    throw new CommandFailure(
      `Postgres at ${hostname} cannot be used: ${reason}`,
      EXIT.unreachable,
      "Check BERTH_ADMIN_URL.",
    );
  });
}

export function postgresUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && ["postgres:", "postgresql:"].includes(url.protocol) && url.hostname !== "") return url;
  // Not shown: it may hold a password.
  throw new CommandFailure("BERTH_ADMIN_URL is not a postgres:// URL", EXIT.usage);
}

/** The Workers speak Neon's protocols; another Postgres needs a proxy that does. */
export function databaseNotes(adminUrl: string): string[] {
  const { hostname } = postgresUrl(adminUrl);
  if (NEON.test(hostname)) return [];
  return [
    `${hostname} is not Neon: the Workers reach it only if a proxy there speaks Neon's HTTP and WebSocket protocols.`,
  ];
}
