// The tidy tests alone, for `npm run check`: no Postgres, no workerd.
import { defineConfig } from "vitest/config";

/** Each reads the whole project, which takes a busy machine many times as long. */
const testTimeout = 120_000;

export default defineConfig({ test: { include: ["test/tidy/**/*.test.ts"], testTimeout } });
