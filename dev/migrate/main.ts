// `npm run db:migrate`: brings a Postgres (a Neon project's, say) to this version's schema and roles, and prints the Workers' URLs.
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { migrate, urlFor } from "../../db/migrate.ts";

const USAGE = `npm run db:migrate

Reads the owner's direct URL from BERTH_ADMIN_URL, so that its password is in no argument list. Each run sets new passwords for
the three roles and prints the two URLs that the control Worker needs: set both with \`wrangler secret put\` at once.`;

process.exitCode = await main();

async function main(): Promise<number> {
  parseArgs({ options: {} });
  const adminUrl = process.env.BERTH_ADMIN_URL;
  if (adminUrl === undefined || !URL.canParse(adminUrl)) {
    console.error(`BERTH_ADMIN_URL must be a postgres:// URL\n\n${USAGE}`);
    return 2;
  }
  const password = () => randomBytes(24).toString("base64url");
  const passwords = { owner: password(), auth: password(), app: password() };
  try {
    await migrate({ adminUrl, passwords });
  } catch (error) {
    console.error(`The migration failed: ${(error as Error).message}`);
    return 1;
  }
  console.log(`DATABASE_URL_APP=${urlFor(adminUrl, "berth_app", passwords.app)}`);
  console.log(`DATABASE_URL_AUTH=${urlFor(adminUrl, "berth_auth", passwords.auth)}`);
  return 0;
}
