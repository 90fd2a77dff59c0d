export const NUMBERED_BYTES: number
export function threadByte(thread: number): number
export function recordSize(thread: number, number: number, largest: number): number
