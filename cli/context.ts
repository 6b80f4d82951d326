// What every command is given: the API, the output, and where it is being run.
import { createApi } from "./client.ts";
import type { Api } from "./client.ts";
import { configPath, readConfig } from "./config-file.ts";
import type { CliConfig } from "./config-file.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { createOutput } from "./output.ts";
import type { Output } from "./output.ts";

export interface GlobalOptions {
  readonly json?: true | undefined;
  readonly api?: string | undefined;
  readonly team?: string | undefined;
}

export interface Context {
  readonly api: Api;
  readonly out: Output;
  readonly config: CliConfig | null;
  readonly configPath: string;
  readonly cwd: string;
  /** Whether a person is there to be asked. */
  readonly interactive: boolean;
}

const DEFAULT_API_URL = "http://127.0.0.1:8787";

/** Flags win over BERTH_API_URL, BERTH_TOKEN and BERTH_TEAM, and those over the configuration file. */
export function createContext(options: GlobalOptions): Context {
  const path = configPath(process.cwd());
  const config = readConfig(path);
  const apiUrl = options.api ?? process.env.BERTH_API_URL ?? config?.apiUrl ?? DEFAULT_API_URL;
  if (!URL.canParse(apiUrl))
    throw new CommandFailure(`${apiUrl} is not an address`, EXIT.usage, "For example https://berth.example.com");
  // A token is only ever sent to the installation that issued it.
  const stored = config?.apiUrl === apiUrl ? config.token : undefined;
  const token = process.env.BERTH_TOKEN ?? stored;
  return {
    api: createApi({ apiUrl, token, team: options.team ?? process.env.BERTH_TEAM, exact: options.json === true }),
    out: createOutput({ json: options.json === true, tty: process.stdout.isTTY === true }),
    config,
    configPath: path,
    cwd: process.cwd(),
    interactive: process.stdin.isTTY === true && process.stdout.isTTY === true && process.env.CI === undefined,
  };
}
