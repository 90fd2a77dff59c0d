// A file system that fails on demand: the n-th call of an operation, once or from then on, or calls a test picks.
import { type Disk, realDisk } from '../../src/io/disk.ts'

export type Operation = keyof Disk
/** A system error, or 'SHORT': a write that takes only half. */
export type Fault =
  | 'EIO'
  | 'EINVAL'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOENT'
  | 'ENOLCK'
  | 'EINTR'
  | 'EMFILE'
  | 'EOPNOTSUPP'
  | 'EACCES'
  | 'EPERM'
  | 'EROFS'
  | 'SHORT'

export interface FaultyDisk {
  readonly disk: Disk
  /** How often each operation was called. */
  readonly calls: Map<Operation, number>
  /** Whether the call of `operation` is to fail, and how; asked for every call. */
  fault: (operation: Operation, call: number, args: readonly unknown[]) => Fault | undefined
}

export function systemError(code: Fault, operation: string): Error {
  return Object.assign(new Error(`${code}: injected, ${operation}`), { code })
}

export function createFaultyDisk(): FaultyDisk {
  const calls = new Map<Operation, number>()
  const faulty: FaultyDisk = {
    calls,
    fault: () => undefined,
    disk: new Proxy(realDisk, {
      get(target, property) {
        const operation = property as Operation
        const real = target[operation] as (...args: unknown[]) => unknown
        return (...args: unknown[]) => {
          const call = (calls.get(operation) ?? 0) + 1
          calls.set(operation, call)
          const fault = faulty.fault(operation, call, args)
          if (fault === undefined) return real(...args)
          if (fault === 'SHORT') return real(...args.with(3, Math.ceil((args[3] as number) / 2)))
          if (operation.endsWith('Async')) return Promise.reject(systemError(fault, operation))
          throw systemError(fault, operation)
        }
      }
    })
  }
  return faulty
}

/** Fails the `nth` call of `operation`, and with `persistent` all that follow until `fault` is changed. */
export function failNth(
  faulty: FaultyDisk,
  operation: Operation,
  nth: number,
  fault: Fault,
  persistent = false
): void {
  faulty.calls.clear()
  faulty.fault = (called, call) =>
    called === operation && (persistent ? call >= nth : call === nth) ? fault : undefined
}
