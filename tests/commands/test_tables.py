"""Plain tables."""

from pixelproof.commands.tables import print_table


def test_columns_are_as_wide_as_their_widest_cell(capsys):
    print_table([("a", "1"), ("a long name that a terminal would fold" * 4, "22")], header=("name", "n"))
    width = len("a long name that a terminal would fold" * 4)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [width + 3, width + 3, width + 4]
    assert [line[width:].strip() for line in lines] == ["n", "1", "22"]


def test_what_could_steer_a_terminal_is_replaced(capsys):
    print_table([("bell\a\x9b2J", "line\nline", "\udcff.png", "Größe")])
    assert capsys.readouterr().out == "bell??2J  line?line  ?.png  Größe\n"
