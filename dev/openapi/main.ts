// Writes docs/openapi.json from the routes: `npm run docs:openapi`. A test compares the two.
import { writeFileSync } from "node:fs";
import { format } from "prettier";

// By address: what it imports is checked with workerd's types, not with Node's.
const workers = new URL("../../workers/control/", import.meta.url).href;
const { app } = (await import(`${workers}app.ts`)) as { app: unknown };
const { openApiDocument } = (await import(`${workers}openapi/document.ts`)) as {
  openApiDocument: (app: unknown) => object;
};
const target = new URL("../../docs/openapi.json", import.meta.url);
writeFileSync(target, await format(JSON.stringify(openApiDocument(app)), { parser: "json", printWidth: 120 }));
