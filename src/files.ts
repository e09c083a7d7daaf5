/** An open file. Positions and lengths in bytes. What throws, throws the system's error, with its `code` (`ENOSPC`, …). */
export interface OpenFile {
  /** As it is now. */
  readonly bytes: number;
  /** Reads into `into` from `at` on; how many bytes there were, fewer at the end of the file only. */
  read(into: Uint8Array, at: number): number;
  /** Writes all of `from`. */
  write(from: Uint8Array, at: number): void;
  /** The same off this thread. `from` is not of shared memory and stays unchanged until it resolves. */
  writeAsync(from: Uint8Array, at: number): Promise<void>;
  truncate(bytes: number): void;
  /** Puts what was written, and the length, on the disk. */
  sync(): void;
  syncAsync(): Promise<void>;
  /** Once what is under way off this thread has ended. */
  close(): void;
}

/** `read`; `edit`: read and write what is there; `make`: emptied where there is one; `new`: refuses (`EEXIST`) where there is one. */
export type OpenMode = 'read' | 'edit' | 'make' | 'new';

/** The file system, as far as ticktape needs it. What throws, throws the system's error, with its `code`, but where it says otherwise. */
export interface Files {
  open(path: string, mode: OpenMode): OpenFile;
  readFile(path: string): Uint8Array;
  exists(path: string): boolean;
  /** Names in the directory. */
  list(directory: string): string[];
  /** And those above it. */
  makeDirectory(path: string): void;
  /** In one step, in the place of what has that name. */
  rename(from: string, to: string): void;
  /** Of a file; where there is none, nothing. */
  remove(path: string): void;
  /** Free on the disk of the directory, in bytes; infinite where the system doesn't tell. */
  freeBytes(directory: string): number;
  /**
   * Checks that this user may write in the directory, made or not, with room for `needBytes` on its disk. Changes nothing.
   * @throws TapeError `NOT_WRITABLE`, `DISK_FULL`
   */
  checkWritable(directory: string, needBytes: number): void;
  /** As the file system knows it, links followed. */
  realPath(path: string): string;
  /**
   * Makes the file at `path` `bytes` long with every byte of it allocated, so that a store into a mapping of it can't
   * fault on a full disk. Makes the file if need be; never shortens it.
   * @throws TapeError `DISK_FULL`, `IO`
   */
  preallocate(path: string, bytes: number): void;
  /**
   * Puts the names in the directory on the disk, where the system doesn't by itself.
   * @throws TapeError `IO`
   */
  syncDirectory(path: string): void;
  syncDirectoryAsync(path: string): Promise<void>;
}
