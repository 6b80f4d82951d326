#!/usr/bin/env node
// The `berth` command's start: hands over to main.ts on a Node.js that runs TypeScript, or says how to get one.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = new URL("../main.ts", import.meta.url);
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  await import(main.href);
} else {
  const projectNode = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
  if (!existsSync(projectNode)) {
    console.error(
      `berth needs Node.js 22.18 or newer (this is ${process.versions.node}); run \`npm install\` here first.`,
    );
    process.exit(2);
  }
  const child = spawnSync(projectNode, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit" });
  process.exit(child.status ?? 1);
}
