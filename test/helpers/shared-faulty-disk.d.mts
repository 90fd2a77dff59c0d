import type { Disk } from '../../src/io/disk.ts'

export type Operation = keyof Disk
export type Fault =
  | 'EIO'
  | 'ENOSPC'
  | 'EMFILE'
  | 'EACCES'
  | 'EINTR'
  | 'EINVAL'
  | 'EROFS'
  | 'ENOLCK'
  | 'SHORT'
  | 'SLOW'

export const operations: readonly Operation[]
export const faults: readonly Fault[]
export function createState(): SharedArrayBuffer
export function createDisk(realDisk: unknown, data: { state: SharedArrayBuffer }): Disk
export function setRule(
  state: SharedArrayBuffer,
  operation: Operation,
  fault: Fault,
  from: number,
  to: number
): void
export function clearRules(state: SharedArrayBuffer): void
export function callsOf(state: SharedArrayBuffer, operation: Operation): number
