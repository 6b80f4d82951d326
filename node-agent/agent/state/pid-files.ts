// Names of the pid files in the agent's folder that more than one process looks at.

export const AGENT_PID_FILE = "agent.pid";
export const INGRESS_PID_FILE = "ingress.pid";
/** And the pid: of one that handed over and drains. */
export const INGRESS_LEAVING_PREFIX = "ingress.leaving.";
export const WATCHDOG_PID_FILE = "watchdog.pid";
/** Of the launcher that started the agent, if one did. */
export const LAUNCHER_PID_FILE = "launcher.pid";
