// What kind of file system a folder is on.
import { statfsSync } from 'node:fs'

/** Those that several machines may have mounted, by the numbers of statfs(2): a second kernel may hold files there. */
const SHARED_BY_MACHINES = new Set([
  0x6969, // nfs
  0x517b, // smb
  0xff534d42, // cifs
  0xfe534d42, // smb2
  0x65735546, // fuse, virtiofs
  0x01021997, // 9p
  0x00c36400, // ceph
  0x5346414f, // afs
  0x73757245, // coda
  0x0bd00bd0, // lustre
  0x47504653, // gpfs
  0x01161970, // gfs2
  0x7461636f, // ocfs2
  0x19830326, // beegfs
  0x786f4256, // vboxsf
  0xbacbacbc // vmhgfs
])

/** Whether another machine may have mounted the file system of `path`; true where there is no telling. */
export function isSharedByMachines(path: string): boolean {
  try {
    return process.platform !== 'linux' || SHARED_BY_MACHINES.has(statfsSync(path).type >>> 0)
  } catch {
    return true
  }
}
