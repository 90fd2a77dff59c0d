// Carries out an adoption under the lock of the log, as its writers take it, so that none of them rotates, compresses or
// removes anything meanwhile. Each step can be repeated: a crash at any point is gone on from with the journal.
import { lstatSync, renameSync, symlinkSync, unlinkSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LogboomError, systemCode } from '../../base/errors.ts'
import { createLock } from '../../core/shared-file/create-lock.ts'
import type { Lock } from '../../core/shared-file/lock.ts'
import { parseBackupName } from '../../formats/backup-name.ts'
import { backupsNoteName } from '../../formats/backups-note.ts'
import { type LockState, lockFileName, upkeepSlot } from '../../formats/lock-file.ts'
import { realDisk } from '../../io/disk.ts'
import { failpoint } from '../../io/failpoint.ts'
import { syncFolderIfPossible } from '../../io/open-file.ts'
import { keepOwner } from '../keep-owner.ts'
import { Journal } from './journal.ts'
import { writersWays } from './new-names.ts'
import { identityOf, type Opener, openersOf } from './open-elsewhere.ts'
import type { Plan, Step } from './plan.ts'

const UPKEEP_POLL_MS = 50
export interface CarryOutOptions {
  readonly timeoutMs: number
  /** Goes on although another program has files open. */
  readonly evenIfOpen: boolean
  /** Told of each step that is done. */
  readonly done: (step: Step) => void
  /** Told of a step that is left out, and why. */
  readonly leftOut: (step: Step, why: string) => void
}

/**
 * Does the steps of an adoption that a crash interrupted, if there is one, else those of `plan`, which is asked for under
 * the lock. Throws `ERR_LOCK_TIMEOUT`, `ERR_LOCKED`, and what the system says.
 */
export async function carryOut(path: string, plan: () => Plan, options: CarryOutOptions): Promise<void> {
  const lockOptions = { mode: 0o600, dirMode: 0o750, mkdir: false, foreignOwner: 'allow' } as const
  const lock = createLock(realDisk, path, lockOptions)
  let upkeep: { release(): void } | undefined
  try {
    const state = lock.acquire(options.timeoutMs)
    if (state === undefined) throw timedOut(path, lock.obstacle ?? 'its lock is held by another process')
    upkeep = await holdUpkeep(path, lock, options.timeoutMs)
    adopt(path, lock, state, plan, options)
  } finally {
    upkeep?.release()
    lock.close()
  }
}

function adopt(path: string, lock: Lock, state: LockState, plan: () => Plan, options: CarryOutOptions): void {
  const journal = new Journal(path)
  const begun = journal.read()
  const { way, steps } = begun ?? plan()
  if (steps.length > 0) {
    refuseOpen(path, steps, options.evenIfOpen)
    const owner = ownerOf(path, steps)
    const folder = resolve(dirname(path), way.dir ?? '.')
    const isNew = !realDisk.exists(folder)
    const ways = writersWays(path, way)
    ways.check()
    if (begun === undefined) journal.write({ way, steps })
    failpoint('adopt-planned')
    // Before the first of them has its name, so that readers find it.
    ways.prepare()
    noteNewest(path, lock, state, steps)
    const note = join(dirname(path), backupsNoteName(basename(path)))
    if (owner !== undefined) keepOwner([lock.path, note, ...(isNew ? [folder] : [])], owner)
    for (const step of steps) {
      doStep(dirname(path), step, options)
      failpoint('adopt-step')
    }
    if (way.dir !== undefined) syncFolderIfPossible(realDisk, folder)
    syncFolderIfPossible(realDisk, dirname(path))
  }
  if (begun !== undefined || steps.length > 0) journal.remove()
}

/** Compressing and removing is under a lock of its own, which may be held for as long as that takes. */
async function holdUpkeep(path: string, lock: Lock, timeoutMs: number): Promise<{ release(): void }> {
  for (let waitedMs = 0; ; waitedMs += UPKEEP_POLL_MS) {
    const held = lock.tryOther(upkeepSlot)
    if (held !== undefined) return held
    if (waitedMs >= timeoutMs) throw timedOut(path, 'its backups are being compressed by another process')
    await sleep(UPKEEP_POLL_MS)
  }
}

function timedOut(path: string, why: string): LogboomError {
  return new LogboomError('ERR_LOCK_TIMEOUT', `${path}: ${why}; nothing was renamed`, { path })
}

/** Noted first, as by writers: they go on behind these names, whatever the clock says. */
function noteNewest(path: string, lock: Lock, state: LockState, steps: readonly Step[]): void {
  for (const step of steps) {
    const name = step.do === 'rename' ? parseBackupName(basename(path), step.to) : undefined
    if (name === undefined) continue
    const isNewer =
      name.stamp > state.backupStamp || (name.stamp === state.backupStamp && name.number > state.backupNumber)
    if (!isNewer) continue
    state.backupStamp = name.stamp
    state.backupNumber = name.number
  }
  lock.save(state)
}

function ownerOf(path: string, steps: readonly Step[]): { uid: number; gid: number } | undefined {
  for (const name of [basename(path), ...steps.map((step) => (step.do === 'rename' ? step.from : ''))]) {
    const found = name === '' ? undefined : lstatSync(join(dirname(path), name), { throwIfNoEntry: false })
    if (found?.isFile() === true) return found
  }
  return undefined
}

/** Throws `ERR_LOCKED` if another program may still write to one of the files. */
export function refuseOpen(path: string, steps: readonly Step[], evenIfOpen: boolean): void {
  if (evenIfOpen) return
  const openers = whoHasOpen(path, steps)
  if (openers === undefined || openers.found.length === 0) return
  const who = openers.found.map(
    ({ pid, command, names }) => `process ${pid} (${command}): ${names.join(', ')}`
  )
  const text = `${path}: other programs have its files open, and would go on writing to them by their new names: ${who.join('; ')}. Stop them first, or say --even-if-open`
  throw new LogboomError('ERR_LOCKED', text, { path })
}

/** Undefined where the system does not tell. */
export function whoHasOpen(
  path: string,
  steps: readonly Step[]
): { found: readonly Opener[]; hidden: number } | undefined {
  const log = basename(path)
  const files = new Map<string, string>()
  for (const name of [log, ...steps.map((step) => (step.do === 'rename' ? step.from : log))]) {
    const found = lstatSync(join(dirname(path), name), { throwIfNoEntry: false, bigint: true })
    if (found !== undefined) files.set(identityOf(found), name)
  }
  return openersOf(files, log, lockFileName(log))
}

function doStep(folder: string, step: Step, { done, leftOut }: CarryOutOptions): void {
  const why = step.do === 'rename' ? rename(folder, step) : change(folder, step)
  if (why === undefined) done(step)
  else leftOut(step, why)
}

/** Gives why it was not done, if it was not. */
function rename(folder: string, step: Step & { do: 'rename' }): string | undefined {
  const from = join(folder, step.from)
  const to = resolve(folder, step.to)
  if (!isSame(from, step)) {
    return isSame(to, step) ? undefined : 'it was removed or replaced since the plan was made'
  }
  try {
    realDisk.renameNoReplace(from, to)
    return undefined
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    return `there is a ${step.to} meanwhile; adopt once more finds another name`
  }
}

function isSame(path: string, { ino, size }: { ino: string; size: number }): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  return found?.isFile() === true && String(found.ino) === ino && Number(found.size) >= size
}

function change(folder: string, step: Exclude<Step, { do: 'rename' }>): string | undefined {
  const path = join(folder, step.name)
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true })
  if (found === undefined) {
    // Done before a crash, but for a link that somebody else removed.
    if (step.do === 'link') return 'it is gone'
    return undefined
  }
  if (step.do === 'remove') {
    if (!found.isFile() || String(found.ino) !== step.ino) return 'it was replaced since the plan was made'
    unlinkSync(path)
    return undefined
  }
  const to = found.isSymbolicLink() ? realDisk.readlink(path) : undefined
  if (step.do === 'link' && to === step.to) return undefined
  if (to === undefined || basename(to) !== step.was) {
    // At the path of the log there is the log by now.
    return step.do === 'unlink' && found.isFile() ? undefined : 'it leads elsewhere by now'
  }
  if (step.do === 'unlink') unlinkSync(path)
  else relink(folder, step.to, path)
  return undefined
}

/** In one step, so that it leads somewhere at any moment. */
function relink(folder: string, to: string, path: string): void {
  const next = join(folder, `.${basename(path)}.adoption-link`)
  if (lstatSync(next, { throwIfNoEntry: false }) !== undefined) unlinkSync(next)
  symlinkSync(to, next)
  renameSync(next, path)
}
