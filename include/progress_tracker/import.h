// Bringing a database of the Python original, whose place this library takes, over into a Tracker.
//
// The original keeps jobs, images and batches in the tables `jobs`, `images` and `batches` of an
// SQLite file. They are read as they stand, with what that program's faults left in them; where
// something cannot be brought over as it is, a note says what became of it.
#ifndef PROGRESS_TRACKER_IMPORT_H_
#define PROGRESS_TRACKER_IMPORT_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "progress_tracker/tracker.h"

namespace progress_tracker {

// What one call of import_original() did. Each image row of the old file counts once in `images`,
// `already_there`, `listed_twice` and `images_left_out`. The same file again, at once: nothing is
// made, added or marked.
struct ImportSummary {
  std::int64_t jobs{0};       // made
  std::int64_t images{0};     // added, in whatever status
  std::int64_t completed{0};  // marked completed
  std::int64_t errors{0};     // marked as failed
  std::int64_t batches{0};    // made

  std::int64_t already_there{0};  // images that the tracker had before
  std::int64_t listed_twice{0};   // rows of images that the file lists above already

  // Rows that could not be brought over; a note says why.
  std::int64_t images_left_out{0};
  std::int64_t batches_left_out{0};

  // In plain sentences: what is not in the tracker as it was in the file. Text from the file in
  // them is cut and escaped for display.
  std::vector<std::string> notes{};

  bool operator==(const ImportSummary&) const = default;
};

// Brings all jobs of the original's database at `old_database` over into `tracker`, and writes
// their counts as checkpoint() does.
//
//   images      In the order in which they were added, with path, byte for byte, and split. No
//               split is "". One without a path, with a NUL in it, or of a job that is not there is
//               left out.
//   status      Completed and error as they are. What was processing is pending: whoever worked on
//               it is not known. So is one whose status is none of the original's four. Of an image
//               that the file lists twice, the first end counts, completed or error, and what
//               another row says of its status and message is lost; only its listing is told.
//   messages    Of images in error only, under the rules of Tracker: the original leaves them on
//               images that were completed or reset later.
//   names       A name or split that the tracker would not take is written as escape_for_display()
//               does. One without a name is "job N", N being its old id. If jobs would have one
//               name, the first whose name is that as it stands in the file keeps it, or else the
//               first; the others, which may be earlier, get " (job N)" added.
//   batches     With number, number of images, status and, in error, message. Where a number is
//               repeated within a job, or is none that the original gives, the batch gets minus its
//               old id as its number, which meets none of the original's, now or later. If that is
//               taken too, as it can be after another old file with a job of the same name, the
//               batch gets a free number from the lowest int up. A second import of the same file
//               finds the same ones. Left out is one whose old id is not of 1 to the highest int,
//               if its own number cannot be used. Which images are in a batch the original does not
//               record: get_unbatched_images() gives all that are completed.
//   not kept    Times: they are those of the import. Ids. Counts of attempts: 1 for each image that
//               was completed or in error.
//
// A job that `tracker` has already, by its name, gets those images that it does not have, as by
// create_job(). Nothing that it has is changed but images and batches that are pending in it and
// ended in the old file. So importing a file again, also after a call that failed half-way, brings
// over what is missing and does no harm; but images that were reset in the tracker since then are
// marked again as the old file has them. A batch whose number the job has already is taken for the
// same one if the number of images is the same too, and else gets another number as above. If the
// job's batch has ended otherwise than in the old file, or with another message, it stays as it is,
// and a note tells of it.
//
// Import before work on these jobs starts. Images are brought over some thousand at a time, first
// the images and then their ends: in between they are pending, and may be claimed.
//
// `old_database` is only read, and all of it in one transaction, so that it is of one moment.
// Another program may have it open, and write to it if its journal mode is WAL; otherwise that
// program waits. Not a byte of it changes, nor of its write-ahead log. Side files that SQLite makes
// are removed where they were not there before, but for a -shm file beside a log that had none, and
// where the old file may not be written. Memory does not depend on the number of images, but for
// one bit or a few for each image of a job that the tracker had before. It takes 10 to 30 s for a
// million images, depending on how busy the machine is; and each batch is a commit of its own, or
// two.
//
// Waits at most `busy_timeout` for others who lock the old file, and as long as the tracker does
// for those who lock the new one. Throws Error:
//   kInvalidArgument  no path, or a negative busy_timeout; or a job of the file is one that the
//                     tracker has from chain_job(), and which takes no images: the message names it
//   kNotFound         there is no such file
//   kNotADatabase     it is not an SQLite file
//   kForeignDatabase  it lacks a table or a column of the original, which the message names; or the
//                     `id` of a table is not its INTEGER PRIMARY KEY, as in a copy made by CREATE
//                     TABLE AS or pandas; or its text is in UTF-16; or it is empty; or it is one of
//                     this library, which needs no import
//   kUnsupportedFilesystem  it has several hard links, or is on a network file system: copy it
//   kBusy             others locked it for all of busy_timeout
//   kCorrupt          it is damaged
//   kIo               it cannot be read, or a dead program left a transaction half-way in it
// and whatever the tracker throws. What was brought over by then stays; all but the tracker's own
// errors, kBusy, kCorrupt and kIo come before anything is.
ImportSummary import_original(const std::filesystem::path& old_database, Tracker& tracker,
                              std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

// Looks only whether the file can be imported, for who has no tracker open yet. Throws Error as
// import_original() does before anything is brought over, but for what concerns the tracker.
void check_original(const std::filesystem::path& old_database,
                    std::chrono::milliseconds busy_timeout = std::chrono::seconds(300));

}  // namespace progress_tracker

#endif  // PROGRESS_TRACKER_IMPORT_H_
