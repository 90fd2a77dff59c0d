// What scripts of tests and benchmarks load of the lane.
export { realDisk } from '../../io/disk.ts'
export { LaneFolder } from './lane-folder.ts'
export { LaneOwner } from './owner.ts'
export { SharedRing } from './shared-ring.ts'
