// What kind of file system a folder is on: whether other machines may have it mounted, and whether they see the locks that
// are taken here.
import { readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemCode } from '../base/errors.ts'

/** Those that several machines may have mounted, by the numbers of statfs(2): a second kernel may hold files there. */
const SHARED_BY_MACHINES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb3'],
  [0x65735546, 'fuse'], // virtiofs, too
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
  [0x73757245, 'coda'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x19830326, 'beegfs'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs']
])

export interface NetworkFileSystem {
  /** As mount(8) calls it, for example 'nfs4' or 'fuse.sshfs'. */
  readonly type: string
  /** Whether locks on its files keep other machines out, too. */
  readonly locksReach: boolean
}

/** Whether another machine may have mounted the file system of `path`; true where there is no telling. */
export function isSharedByMachines(path: string): boolean {
  try {
    return process.platform !== 'linux' || SHARED_BY_MACHINES.has(statfsSync(path).type >>> 0)
  } catch {
    return true
  }
}

/** What is known of the file system of `folder`, if other machines may have mounted it. Linux only. */
export function networkFileSystem(folder: string): NetworkFileSystem | undefined {
  if (process.platform !== 'linux') return undefined
  let name: string | undefined
  try {
    name = SHARED_BY_MACHINES.get(statfsSync(folder).type >>> 0)
  } catch (error) {
    // It will be made; for all else, whoever opens a file there hears what is wrong.
    const parent = dirname(folder)
    return systemCode(error) === 'ENOENT' && parent !== folder ? networkFileSystem(parent) : undefined
  }
  if (name === undefined) return undefined
  const mount = mountOf(folder)
  // That of a block device, which is in one machine.
  if (mount?.type === 'fuseblk') return undefined
  return mount === undefined ? { type: name, locksReach: false } : { ...mount, locksReach: locksReach(mount) }
}

interface Mount {
  readonly type: string
  readonly options: ReadonlySet<string>
}

/** From proc_pid_mountinfo(5); undefined where the kernel does not tell. */
function mountOf(folder: string): Mount | undefined {
  try {
    const { dev } = statSync(folder, { bigint: true })
    const major = ((dev >> 32n) & 0xfffff000n) | ((dev >> 8n) & 0xfffn)
    const minor = ((dev >> 12n) & 0xffffff00n) | (dev & 0xffn)
    const text = readFileSync('/proc/self/mountinfo', 'utf8')
    return mountIn(text, `${major}:${minor}`)
  } catch {
    return undefined
  }
}

/** The mount of the device `number` in a mountinfo file. */
export function mountIn(mountinfo: string, number: string): Mount | undefined {
  const line = mountinfo.split('\n').find((each) => each.split(' ', 3)[2] === number)
  const [type, , options = ''] = line?.split(' - ')[1]?.split(' ') ?? []
  return type === undefined ? undefined : { type, options: new Set(options.split(',')) }
}

/** Those whose servers keep the locks, unless an option of the mount keeps them here. */
const REACHING: Readonly<Record<string, readonly string[]>> = {
  nfs: ['nolock', 'local_lock=all', 'local_lock=posix'],
  nfs4: ['nolock', 'local_lock=all', 'local_lock=posix'],
  cifs: ['nobrl'],
  smb3: ['nobrl'],
  ceph: [],
  gpfs: [],
  gfs2: ['localflocks', 'lockproto=lock_nolock'],
  ocfs2: ['localflocks'],
  'fuse.glusterfs': [],
  'fuse.ceph': [],
  'fuse.ceph-fuse': [],
  'fuse.juicefs': []
}

/** Of all others nobody knows, or it is known that they do not. */
export function locksReach({ type, options }: Mount): boolean {
  if (type === 'lustre') return options.has('flock')
  return REACHING[type]?.every((option) => !options.has(option)) === true
}
