// `npm run cloudflare -- example.com`: the stand-in with one paid account and one zone, to try `berth setup` without an account.
import { addAccount, addZone, type Permission } from "./account.ts";
import { startCloudflare } from "./server.ts";

const zoneName = process.argv[2] ?? "example.test";
const EVERYTHING: Permission[] = [
  "Billing",
  "Workers Scripts",
  "Workers KV Storage",
  "Workers R2 Storage",
  "Zone",
  "DNS",
  "Workers Routes",
  "SSL and Certificates",
];

const { cloud, url } = await startCloudflare();
const account = addAccount(cloud, "Stand-in");
const zone = addZone(cloud, account, zoneName);
const permissions = Object.fromEntries(EVERYTHING.map((name) => [name, "Edit" as const]));
const token = crypto.randomUUID();
cloud.tokens.set(token, { id: "0", accounts: [account.id], zones: [zone.id], permissions, status: "active" });
console.log(`CLOUDFLARE_API_BASE_URL=${url} CLOUDFLARE_API_TOKEN=${token} berth setup --domain apps.${zoneName}`);
