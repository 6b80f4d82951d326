// Shows a page in the browser of whoever sits here, where there is one.
import { spawn } from "node:child_process";
import { once } from "node:events";

/** What each system has for it. The address is an argument of its own: no shell reads it. */
const OPENERS: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
  linux: ["xdg-open"],
};

/** False: there is no browser here, or no screen. The address comes from a server: only what a browser takes is handed on. */
export async function openBrowser(address: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const isWeb = URL.canParse(address) && /^https?:$/.test(new URL(address).protocol);
  const isFaraway = env.SSH_CONNECTION !== undefined;
  const hasScreen = process.platform !== "linux" || Boolean(env.DISPLAY ?? env.WAYLAND_DISPLAY);
  const opener = OPENERS[process.platform];
  if (!isWeb || isFaraway || !hasScreen || opener === undefined) return false;
  const [command, ...args] = opener;
  const child = spawn(command, [...args, new URL(address).href], { stdio: "ignore", detached: true });
  child.unref();
  return once(child, "spawn").then(
    () => true,
    () => false,
  );
}
