"""What each release made of the same services: an upgrade may change neither their revisions nor their pods."""
