// How `npm run db:generate` turns a changed schema into the next migration. Migrations are only ever added.
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  schema: "./db/schema/*.ts",
  out: "./db/migrations",
  entities: { roles: { include: [] } },
});
