// The tidy tests alone, for `npm run check`: no Postgres, no workerd.
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["test/tidy/**/*.test.ts"] } });
