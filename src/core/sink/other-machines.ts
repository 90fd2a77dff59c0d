// What is not promised where another machine may have mounted the folder of a log, and does not see the locks taken here.
import type { Account } from './account.ts'
import { internals } from './internals.ts'

/** Says so once, for sinks of which one at a time may write a log, or knows by a lock that another one has died. */
export function warnOfOtherMachines(account: Pick<Account, 'warn'>, folder: string): void {
  const { network, saysNoSharing } = internals()
  if (!saysNoSharing) return
  const found = network.find(folder)
  if (found === undefined || found.locksReach) return
  account.warn(
    'ERR_UNSUPPORTED',
    `${folder} is on a file system that other machines may have mounted (${found.type}), and they do not see the locks taken here: no other machine may write to it`
  )
}
