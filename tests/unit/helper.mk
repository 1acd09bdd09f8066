# Unit tests of src/helper.
