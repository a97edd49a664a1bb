"""The one table of routes: what there is, who may, and what answers. A page is added here, and nowhere else."""

from typing import Final

from annotator.store.web.accounts import Role
from annotator.web.api import corrections, document, endpoints, files, jobs, objects, operating
from annotator.web.api.operation import Operation
from annotator.web.pages import (
    changing_people,
    correcting,
    entrance,
    exports,
    faces,
    media,
    operation,
    overview,
    people,
    search,
    space,
    trying,
)
from annotator.web.visit import Page

PAGES: Final[tuple[Page, ...]] = (
    Page("/", "home", overview.show_home, Role.READER, menu="Overview"),
    Page("/try", "try", trying.show_try, Role.REVIEWER, menu="Try"),
    Page("/try", "try_media", trying.try_media, Role.REVIEWER, "POST", takes_files=True),
    Page("/try/{job_id:int}", "job", trying.show_job, Role.REVIEWER),
    Page("/search", "search", search.show_search, Role.READER, menu="Search"),
    Page("/people", "people", people.show_people, Role.READER, menu="People"),
    Page("/people/{person_id:int}", "person", people.show_person, Role.READER),
    Page("/people/{person_id:int}/rename", "rename_person", changing_people.rename_person, Role.OPERATOR, "POST"),
    Page("/people/{person_id:int}/names", "add_alias", changing_people.add_further_name, Role.OPERATOR, "POST"),
    Page(
        "/people/{person_id:int}/names/remove",
        "remove_alias",
        changing_people.remove_further_name,
        Role.OPERATOR,
        "POST",
    ),
    Page("/people/{person_id:int}/kg-mid", "change_kg_mid", changing_people.change_graph_id, Role.OPERATOR, "POST"),
    Page("/people/{person_id:int}/merge", "merge_people", changing_people.ask_to_merge, Role.OPERATOR),
    Page("/people/{person_id:int}/merge", "merge_people_now", changing_people.merge_two, Role.OPERATOR, "POST"),
    Page("/media/{media_id:int}", "media", media.show_media, Role.READER),
    Page("/media/{media_id:int}/file", "media_file", media.send_media, Role.READER, fetches_media=True),
    Page(
        "/media/{media_id:int}/tracks/{track_no:int}/faces/{number:int}",
        "face",
        faces.send_face,
        Role.READER,
        fetches_media=True,
    ),
    Page(
        "/media/{media_id:int}/tracks/{track_no:int}/corrections",
        "correct_track",
        correcting.correct_track_of_media,
        Role.REVIEWER,
        "POST",
    ),
    Page("/media/{media_id:int}/export", "media_export", exports.send_media_export, Role.READER),
    Page("/search/export", "search_export", exports.send_search_export, Role.READER),
    Page("/space", "space", space.show_space, Role.READER, menu="Space"),
    Page("/space/points", "space_points", space.send_points, Role.READER),
    Page("/operation", "operation", operation.show_operation, Role.OPERATOR, menu="Operation"),
    Page("/operation/now", "operation_now", operation.show_now, Role.OPERATOR),
    Page("/operation/failures", "operation_failures", operation.show_failures, Role.OPERATOR),
    Page("/operation/retry", "operation_retry", operation.retry_failures, Role.OPERATOR, "POST"),
    Page("/record", "record", overview.show_record, Role.ADMIN, menu="Record"),
    Page("/account", "account", entrance.show_account, Role.READER),
    Page("/account/password", "change_password", entrance.change_own_password, Role.READER, "POST"),
    Page("/login", "login", entrance.show_login, None),
    Page("/login", "log_in", entrance.log_in, None, "POST"),
    Page("/logout", "log_out", entrance.log_out, Role.READER, "POST"),
    Page("/enter", "enter", entrance.enter, None),
    Page(
        "/api/v1/people",
        "people_list",
        endpoints.tell_people,
        Role.READER,
        operation=Operation("People, most seen first", objects.PeopleTold, endpoints.PeopleParameters),
    ),
    Page(
        "/api/v1/people/{person_id:int}",
        "person_details",
        endpoints.tell_person,
        Role.READER,
        operation=Operation("One person", objects.PersonDetailsTold),
    ),
    Page(
        "/api/v1/appearances",
        "appearances",
        endpoints.tell_appearances,
        Role.READER,
        operation=Operation(
            "Media that show one person, or several at once", objects.FoundPageTold, endpoints.AppearanceParameters
        ),
    ),
    Page(
        "/api/v1/media",
        "media_list",
        endpoints.tell_media_list,
        Role.READER,
        operation=Operation("Media, newest first", objects.MediaPageTold, endpoints.MediaParameters),
    ),
    Page(
        "/api/v1/media/{media_id:int}",
        "media_details",
        endpoints.tell_media,
        Role.READER,
        operation=Operation("Who is in a media, and when", objects.MediaDetailsTold),
    ),
    Page(
        "/api/v1/media/{media_id:int}/corrections",
        "correction_list",
        corrections.tell_corrections,
        Role.READER,
        operation=Operation("What people have said of a media's tracks", corrections.CorrectionsTold),
    ),
    Page(
        "/api/v1/media/{media_id:int}/tracks/{track_no:int}/corrections",
        "correct",
        corrections.correct,
        Role.REVIEWER,
        "POST",
        operation=Operation(
            "Say of a track who it is, or is not", corrections.CorrectedTold, corrections.CorrectionParameters
        ),
    ),
    Page(
        "/api/v1/media/{media_id:int}/tracks/{track_no:int}/corrections",
        "withdraw",
        corrections.withdraw,
        Role.REVIEWER,
        "DELETE",
        operation=Operation("Take back all that was said of a track", corrections.CorrectedTold),
    ),
    Page(
        "/api/v1/operation",
        "operation_status",
        operating.tell_operation,
        Role.OPERATOR,
        operation=Operation("How far the archive is", operating.OperationTold),
    ),
    Page(
        "/api/v1/operation/failures",
        "failure_list",
        operating.tell_failures,
        Role.OPERATOR,
        operation=Operation(
            "Media that failed for a reason, newest first", operating.FailuresTold, operating.FailureParameters
        ),
    ),
    Page(
        "/api/v1/operation/retry",
        "retry",
        operating.retry_failures,
        Role.OPERATOR,
        "POST",
        operation=Operation("Queue failed media again", operating.RetriedTold, operating.RetryParameters),
    ),
    Page(
        "/api/v1/media/{media_id:int}/export",
        "export_media",
        files.send_media,
        Role.READER,
        operation=Operation(
            "What was found in a media, as a file", None, files.MediaExportParameters, files=files.OF_MEDIA
        ),
    ),
    Page(
        "/api/v1/export",
        "export_found",
        files.send_found,
        Role.READER,
        operation=Operation(
            "Media that show one person, or several at once, as a file",
            None,
            files.ExportParameters,
            files=files.OF_SEARCH,
        ),
    ),
    Page(
        "/api/v1/annotate",
        "annotate",
        jobs.annotate,
        Role.REVIEWER,
        "POST",
        takes_files=True,
        operation=Operation("Annotate files, or what an address names", jobs.JobsTold, body=jobs.WANTED, status=202),
    ),
    Page(
        "/api/v1/jobs",
        "job_list",
        jobs.tell_jobs,
        Role.REVIEWER,
        operation=Operation("How far the media are that you gave, newest first", jobs.JobsTold, jobs.JobsParameters),
    ),
    Page(
        "/api/v1/jobs/{job_id:int}",
        "job_details",
        jobs.tell_job,
        Role.REVIEWER,
        operation=Operation("How far a media is", jobs.JobTold),
    ),
    Page("/api/v1/openapi.json", "openapi", document.tell_document, Role.READER),
    Page("/healthz", "health", overview.tell_health, None),
)
