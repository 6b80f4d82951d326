// How a disk without room sounds, from the kernel and from the Engine.

export const DISK_FULL = /no space left on device|ENOSPC|disk quota exceeded|EDQUOT/i;
