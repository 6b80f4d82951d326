// Puts the parts of the install script together, with the unit inside; the control plane fills in the rest when it serves it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Installation } from "../../contracts/installation.ts";
import { sha256Of } from "../launcher/launch-state.ts";

const FOLDER = fileURLToPath(new URL("../install/", import.meta.url));
const PARTS = ["install.sh", "checks.sh", "place.sh", "steps.sh"];

/** main is called in the last line, so that half a script does nothing. */
export function installScript(): string {
  const unit = readFileSync(`${FOLDER}berth-agent.service`, "utf8").trim();
  const parts = PARTS.map((name) => readFileSync(FOLDER + name, "utf8").trim());
  return `${parts.join("\n\n")}\n\nmain "$@"\n`.replace("@UNIT@", () => unit);
}

interface Files {
  readonly agent: string;
  readonly launcher: string;
  readonly script: string;
}

/** What an operator publishes beside the three files. */
export function installationOf(files: Files, version: string): Installation {
  const [agent, launcher, script] = [files.agent, files.launcher, files.script].map(sha256Of);
  const node: unknown = JSON.parse(readFileSync(`${FOLDER}node-release.json`, "utf8"));
  return Installation.parse({ version, agent, launcher, script, node });
}
