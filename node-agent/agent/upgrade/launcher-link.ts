// The launcher above this agent: that there is one, that it lives, and what it did with the agent before.
import { identifyProcess } from "../state/process-id.ts";
import { LAUNCHER_PID_FILE } from "../state/pid-files.ts";
import { takePidFile } from "../state/process-id.ts";
import { type LaunchState, readLaunchState, writeLaunchState } from "../../launcher/launch-state.ts";

export class LauncherLink {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** null: this agent was started by hand, or by what knows nothing of launchers. gone: it died, so this agent has to end too. */
  static async open(dir: string, gone: () => void): Promise<LauncherLink | null> {
    if (process.env.BERTH_LAUNCHER === undefined || process.send === undefined) return null;
    // Nothing that this agent starts has that launcher above it.
    delete process.env.BERTH_LAUNCHER;
    process.once("disconnect", gone);
    if (!process.connected) gone();
    process.channel?.unref();
    if ((await identifyProcess(process.ppid)) !== null) await takePidFile(dir, LAUNCHER_PID_FILE, process.ppid);
    return new LauncherLink(dir);
  }

  get state(): LaunchState | null {
    return readLaunchState(this.#dir);
  }

  /** Which agent is started when this one ends, on trial. */
  switchTo(state: LaunchState): void {
    writeLaunchState(this.#dir, state);
  }

  /** A heartbeat of this agent was acknowledged: if it was on trial, it no longer is. */
  heard(): void {
    if (process.connected) process.send?.({ kind: "heard" });
  }
}
