// A resolver for trying custom domains on one machine: `npm run dns -- <zone> <file> [port]`. The file is read anew when it changes.
import { readFileSync, watchFile } from "node:fs";
import { z } from "zod";
import { startDnsServer } from "./server.ts";
import { Zone } from "./zone.ts";

/** [{"name": "_berth.shop.example.test", "type": "TXT", "value": "berth-verify=…"}, …] */
const Records = z.array(
  z.strictObject({
    name: z.string(),
    type: z.enum(["TXT", "CNAME", "A", "AAAA"]),
    value: z.string(),
    ttlSeconds: z.int().positive().default(5),
  }),
);

const [name, file, port = "0"] = process.argv.slice(2);
if (name === undefined || file === undefined) {
  console.error("usage: npm run dns -- <zone> <file> [port]");
  process.exit(2);
}

const zone = new Zone(name, { negativeTtlSeconds: 5 });
let known: z.infer<typeof Records> = [];
const load = (): void => {
  const records = Records.parse(JSON.parse(readFileSync(file, "utf8")));
  for (const old of known) zone.set(old.name, old.type, []);
  for (const { name: at, type } of records) {
    const alike = records.filter((record) => record.name === at && record.type === type);
    zone.set(at, type, alike.map(({ value }) => value), alike[0]?.ttlSeconds); // prettier-ignore
  }
  known = records;
};
load();
watchFile(file, { interval: 200 }, () => {
  try {
    load();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
});
const server = await startDnsServer([zone], Number(port));
console.log(`DOH_URL=${server.url}`);
