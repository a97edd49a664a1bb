"""Objects taken out of a listing's answer before botocore reads it."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from annotator.media.s3_pages import take_objects

SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
OBJECT = (
    "<Contents><Key>a%2Fb.gif</Key><ETag>&quot;1&quot;</ETag><Size>7</Size><StorageClass>X</StorageClass></Contents>"
)
OTHER = "<Contents><Size>0</Size><Key/><ETag/></Contents>"


def answered(body: str, status: int = 200) -> tuple[dict[str, Any], dict[str, Any]]:
    answer: dict[str, Any] = {"status_code": status, "body": body.encode()}
    added: dict[str, Any] = {}
    take_objects(response_dict=answer, customized_response_dict=added, operation_model=None)
    return answer, added


@pytest.mark.parametrize("space", [SPACE, ""])
def test_objects_are_taken_and_the_rest_is_left_wherever_it_stands(space: str) -> None:
    body = f"<ListBucketResult{space}><Name>b</Name>{OBJECT}<IsTruncated>true</IsTruncated>{OTHER}</ListBucketResult>"
    answer, added = answered(body)
    assert added["Contents"] == [{"Key": "a%2Fb.gif", "ETag": '"1"', "Size": 7}, {"Key": "", "ETag": "", "Size": 0}]
    left = [child.tag.rpartition("}")[2] for child in ET.fromstring(answer["body"])]  # noqa: S314  (made here)
    assert left == ["Name", "IsTruncated"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f"<ListBucketResult>{OBJECT}</ListBucketResult>", 503),
        ("<ListBucketResult><Contents>", 200),
        ("", 200),
        ("<ListBucketResult><Name>b</Name></ListBucketResult>", 200),
    ],
)
def test_what_is_no_page_of_objects_is_left_to_botocore(body: str, status: int) -> None:
    answer, added = answered(body, status)
    assert (answer["body"], added) == (body.encode(), {})
