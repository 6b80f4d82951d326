// The entry of the `berth` command: run it, and turn what went wrong into a message, a hint and an exit code.
import pc from "picocolors";
import { CommandFailure, EXIT } from "./failure.ts";
import { jsonText } from "./plain-text.ts";
import { createProgram } from "./program.ts";

function report(cause: unknown): number {
  const json = process.argv.includes("--json");
  if (cause instanceof CommandFailure) {
    if (json && cause.problem !== null) process.stderr.write(`${jsonText(cause.problem)}\n`);
    else process.stderr.write(`${pc.red("✗")} ${cause.message}\n`);
    if (cause.hint !== null && !json) process.stderr.write(`  ${cause.hint}\n`);
    return cause.exitCode;
  }
  const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  process.stderr.write(`${pc.red("✗")} berth itself failed; please report this:\n${stack}\n`);
  return EXIT.failed;
}

// A reader that went away (`berth logs | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  throw error;
});

try {
  await createProgram().parseAsync();
} catch (cause) {
  process.exitCode = report(cause);
}
